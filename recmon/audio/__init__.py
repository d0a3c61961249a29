"""Sound: decoding, output and peaks. Nothing else in the program opens a sound device."""

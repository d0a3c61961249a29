"""What the program does, without a front end: watching, history, downloads, playback."""

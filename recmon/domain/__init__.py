"""What a call is, in our own words: values and rules that know nothing of vendors, sockets or windows."""

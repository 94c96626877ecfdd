# One page a command, file format and bus interface.

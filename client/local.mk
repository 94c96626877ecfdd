# cdmctl: a file a verb.

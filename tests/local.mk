# Tests that need no guest: `make check`. A test program a module, corpora as data.

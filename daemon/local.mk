# cdmd itself. What cdmctl --offline and the generator share with it is in libmachine.

"""Writing to disk: identities, files, HDF5, shards, workers."""

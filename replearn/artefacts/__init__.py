"""How anything gets onto a disk: identities, files, HDF5, shards, workers."""

"""The stages, one file each: read settings, load artefacts, call the library, save."""

"""Parts of a concept table: at random, stratified, by group, by the words in ids."""

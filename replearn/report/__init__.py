"""Reports: one HTML file each, that opens from disk and shows what an encoder or a comparison is.

`figures` draws, `page` lays out, `encoder` and `comparison` decide what there is to see.
"""

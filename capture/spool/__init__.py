"""The crash-safe log between the request path and the archive.

`segment` is bytes, `fs` is files, `writer` and `reader` use both; the other modules are parts of the writer.
"""

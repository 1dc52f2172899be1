"""Records that the books could not take: seen, mended, sent again, or discarded."""

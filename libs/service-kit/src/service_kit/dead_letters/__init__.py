"""Records that a consumer could not take: seen, mended, sent again, or discarded. The same in every service."""

"""The composition root: the one command `wattbid`. It may import every room; no room imports it."""

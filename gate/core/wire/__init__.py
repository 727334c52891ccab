"""Bytes and values: the strict readers of hostile bytes and the lean encoder."""

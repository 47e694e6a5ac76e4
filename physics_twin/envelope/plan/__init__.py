"""The way from the present point to the recommended one."""

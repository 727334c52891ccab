"""Connect: one outside library per module or subfolder, translated to the ports.

May touch its library and core values; never another adapter; holds no policy.
"""

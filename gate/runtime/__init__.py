"""Run: order, deadlines and retries of the transaction; the policy enforcement point.

May call the core and the ports; names no library.
"""

"""Who is connected and what they should hear: sessions and fan-out, in Redis or in memory.

A hint channel over the log: whatever is lost here is found there.
"""

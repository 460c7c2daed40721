"""A test in one transaction: all connections to a database share one that is rolled back.

Drivers connect to a socket of ours, and what they send goes to PostgreSQL through one connection:
`wire` reads and writes the messages, `statements` tells what a statement is and what cannot be
done, `backend` is the one connection, `frontend` one of the many, and `server` is between them.
"""

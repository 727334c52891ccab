"""The gate: decides whether an action is admissible, and proves afterwards what it decided.

Rooms: `core` decides, `adapters` connect, `runtime` runs the transaction, `ports` is the seam;
`authoring`, `audit` and `client` serve people; `cli` and `demo` start things.
"""

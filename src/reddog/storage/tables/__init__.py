"""The table service: tables of entities, in JSON and Atom, with queries and entity group transactions."""

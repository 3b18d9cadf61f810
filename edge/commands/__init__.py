"""One module a command: arguments in, a call, a table or JSON out. No logic of their own."""

"""Stage 1 of init-server.sh: check a server, then make it a member of the service, or undo that."""

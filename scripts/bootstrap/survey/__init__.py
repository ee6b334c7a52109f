"""What is looked at: this server, its Docker, the bundle, the models, the network. Nothing here changes anything."""

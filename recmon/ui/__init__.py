"""The window, a front end over the services; the only part that knows Qt."""

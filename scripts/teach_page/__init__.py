"""The service behind the page's Teach view: it takes images, and runs `make teach` and `make use`."""

SOCKET = "teach/socket"  # in the run directory, where Nginx is started; routes.conf has the same name
PREFIX = "/teaching/"  # of its routes
KEY_HEADER = "X-Teach-Key"

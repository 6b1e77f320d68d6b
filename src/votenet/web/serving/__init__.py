"""The server of the page: its application, what every request passes, connections and their end."""

"""Counts visits in PostgreSQL and says how many there were; listens on loopback only, nginx is before it."""

import http.server
import os

import psycopg2


class Page(http.server.BaseHTTPRequestHandler):
    """The only page."""

    def do_GET(self):
        """Count this visit and answer with its number."""
        with psycopg2.connect(dbname="app") as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO visits DEFAULT VALUES RETURNING number")
            (number,) = cursor.fetchone()
        text = f"{os.environ['GREETING']}, visit {number}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()

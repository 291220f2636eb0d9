"""The control API of the running daemon, the page that shows it, and the client that the other surfaces use.

`server` starts it inside the daemon, `app` puts it together, `guard` and `access` decide who gets in, `api` and
`page` answer. `client` stands alone and imports nothing heavy, as each `dropscribe status` pays for it.
"""

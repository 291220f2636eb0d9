"""One quiet HTTP server, which the local transcription server and the control API both use.

``protocol`` limits what connections may cost; ``server`` runs an application until it is told to stop.
"""

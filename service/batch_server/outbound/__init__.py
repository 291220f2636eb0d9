"""Requests that the server makes itself: fetching a job's audio and calling webhooks, to public addresses only."""

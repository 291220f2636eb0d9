"""One face for four Batch clients, so that the same contract tests drive ours and the two official ones."""

import asyncio
import contextlib
import warnings

import watcher.speechmatics as ours
from tests.support import sounds
from tests.support.waiting import until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the official SDKs import is not ours to judge
    import speechmatics.batch as official_async
    import speechmatics.batch_client as official_sync
    import speechmatics.models as official_models

TERMINAL = {"done", "rejected", "deleted", "expired"}


def tone(seconds=1.0):
    """A short recording: a tone, as a wav file's bytes."""
    return sounds.wav(sounds.tone(int(seconds * sounds.RATE)))


class Refused(Exception):
    """What every client's own error is turned into, with the HTTP status if the client kept it."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error
        self.status = _status(error)


def _status(error):
    while error is not None:
        for name in ("status", "status_code"):
            if isinstance(getattr(error, name, None), int):
                return getattr(error, name)
        response = getattr(error, "response", None)
        if response is not None:
            return response.status_code
        error = error.__cause__
    return None


class _Client:
    """submit, status, result, jobs, delete; and wait, which polls `status`."""

    def wait(self, job_id):
        return until(lambda: (status := self.status(job_id)) in TERMINAL and status, f"the end of {job_id}")

    @contextlib.contextmanager
    def refusals(self):
        try:
            yield
        except Exception as error:
            raise Refused(error) from error


class OurAsync(_Client):
    def __init__(self, url, key):
        self._client = ours.AsyncClient(key, url=url)
        self._runner = asyncio.Runner()

    def close(self):
        self._run(self._client.close())
        self._runner.close()

    def _run(self, coroutine):
        with self.refusals():
            return self._runner.run(coroutine)

    def submit(self, path, config):
        return self._run(self._client.submit_job(path, config=ours.JobConfig.from_dict(config))).id

    def status(self, job_id):
        return str(self._run(self._client.get_job(job_id, wait=1)).status)

    def result(self, job_id, kind):
        return self._run(self._client.get_transcript(job_id, kind)).decode()

    def complete(self, job_id):
        return self._run(self._client.wait_for_completion(job_id)).transcript_text

    def jobs(self):
        return [job.id for job in self._run(self._client.list_jobs())]

    def delete(self, job_id):
        self._run(self._client.delete_job(job_id, force=True))


class OurSync(_Client):
    def __init__(self, url, key):
        self._client = ours.BatchClient(ours.ConnectionSettings(url=url, auth_token=key)).connect()

    def close(self):
        self._client.close()

    def submit(self, path, config):
        with self.refusals():
            return self._client.submit_job(path, config)

    def status(self, job_id):
        with self.refusals():
            return self._client.check_job_status(job_id)["job"]["status"]

    def result(self, job_id, kind):
        with self.refusals():
            return self._client.get_job_result(job_id, kind)

    def complete(self, job_id):
        with self.refusals():
            return self._client.wait_for_completion(job_id, transcription_format="txt")

    def jobs(self):
        with self.refusals():
            return [job["id"] for job in self._client.list_jobs()]

    def delete(self, job_id):
        with self.refusals():
            self._client.delete_job(job_id, force=True)


class OfficialAsync(_Client):
    """PyPI ``speechmatics-batch``."""

    def __init__(self, url, key):
        self._runner = asyncio.Runner()
        self._client = official_async.AsyncClient(api_key=key, url=url)

    def close(self):
        self._run(self._client.close())
        # aiohttp closes its sockets one turn of the loop later.
        self._run(asyncio.sleep(0.01))
        self._runner.close()

    def _run(self, coroutine):
        with self.refusals():
            return self._runner.run(coroutine)

    def submit(self, path, config):
        job_config = official_async.JobConfig.from_dict(config)
        return self._run(self._client.submit_job(str(path), config=job_config)).id

    def status(self, job_id):
        return self._run(self._client.get_job_info(job_id)).status.value

    def result(self, job_id, kind):
        if kind == "json-v2":
            return self._run(self._client._transport.get(f"/jobs/{job_id}/transcript"))
        return self._run(self._client.get_transcript(job_id, format_type=official_async.FormatType(kind)))

    def complete(self, job_id):
        return self._run(self._client.wait_for_completion(job_id)).transcript_text

    def jobs(self):
        return [job.id for job in self._run(self._client.list_jobs())]

    def delete(self, job_id):
        self._run(self._client.delete_job(job_id, force=True))


class OfficialSync(_Client):
    """PyPI ``speechmatics-python``."""

    def __init__(self, url, key):
        settings = official_models.ConnectionSettings(url=url, auth_token=key)
        self._client = official_sync.BatchClient(settings).connect()

    def close(self):
        self._client.close()

    def submit(self, path, config):
        with self.refusals():
            return self._client.submit_job(str(path), config)

    def status(self, job_id):
        with self.refusals():
            return self._client.check_job_status(job_id)["job"]["status"]

    def result(self, job_id, kind):
        with self.refusals():
            return self._client.get_job_result(job_id, kind)

    def complete(self, job_id):
        self.wait(job_id)  # its own waiting sleeps 15 seconds between two looks
        with self.refusals():
            return self._client.wait_for_completion(job_id, transcription_format="txt")

    def jobs(self):
        with self.refusals():
            return [job["id"] for job in self._client.list_jobs()]

    def delete(self, job_id):
        with self.refusals():
            self._client.delete_job(job_id, force=True)


CLIENTS = {
    "ours-async": OurAsync,
    "ours-sync": OurSync,
    "speechmatics-batch": OfficialAsync,
    "speechmatics-python": OfficialSync,
}

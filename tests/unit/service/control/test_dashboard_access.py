"""The token, one-time codes and sessions."""

import pytest

from service.control.auth import CODE_SECONDS, Access, new_token


class Time:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def access(time):
    return Access("the token", port=7373, monotonic=time)


def test_tokens_are_long_and_never_the_same():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43


def test_there_is_no_access_without_a_token(time):
    with pytest.raises(ValueError, match="empty"):
        Access("", port=1, monotonic=time)


@pytest.mark.parametrize("given", ["Bearer the token", "bearer the token", "BEARER  the token "])
def test_the_token_lets_in(access, given):
    assert access.has_token(given)


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "the token", "Bearer the tokens", "Bearer thé token"])
def test_nothing_else_does(access, given):
    assert not access.has_token(given)


def test_a_code_becomes_a_session_once(access):
    code = access.new_code("/recordings/abc")
    assert not access.has_session(f"{access.cookie}={code}")
    session, target = access.redeem(code)
    assert target == "/recordings/abc"
    assert access.redeem(code) is None
    assert access.has_session(f"other=1; {access.cookie}={session}; more=2")
    assert not access.has_session(f"dropscribe-1={session}")
    assert not access.has_session(f"{access.cookie}={session}x")
    assert not access.has_session(None)


def test_a_code_is_good_for_half_a_minute(access, time):
    early, late = access.new_code(), access.new_code()
    time.now += CODE_SECONDS - 0.001
    assert access.redeem(early)
    time.now += 0.001
    assert access.redeem(late) is None


def test_codes_and_sessions_do_not_pile_up(access):
    codes = [access.new_code() for _ in range(1000)]
    assert access.redeem(codes[0]) is None
    assert access.redeem(codes[-1])
    sessions = [access.redeem(access.new_code())[0] for _ in range(1000)]
    assert not access.has_session(f"{access.cookie}={sessions[0]}")
    assert all(access.has_session(f"{access.cookie}={session}") for session in sessions[-60:])

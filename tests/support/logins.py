"""A served team: accounts with one password, and clients that are logged in."""

from functools import cache

from starlette.testclient import TestClient

from app.services.accounts import accounts
from app.settings import Settings
from app.store.annotators import add_annotator
from app.store.database.engine import open_store, write_session
from tests.support.serving import HOSTS, application

PASSWORD = "correct horse battery"
ORIGIN = {"Origin": "http://testserver"}


@cache
def hashed(password=PASSWORD):
    return accounts.hash_password(password)


def add_people(store, now, **people):
    """add_people(store, now, ada={"role": "admin"}): accounts with PASSWORD."""
    engine = open_store(store)
    with write_session(engine) as session:
        for name, fields in people.items():
            add_annotator(session, name, now, password_hash=hashed(), **fields)
    engine.dispose()


def team_app(store, **settings):
    return application(Settings(store=store, allowed_hosts=HOSTS, team=True, **settings))


def visitor(app, base="http://testserver"):
    return TestClient(
        app,
        base_url=base,
        follow_redirects=False,
        raise_server_exceptions=False,
        headers={"Origin": base},
    )


def log_in(client, name, password=PASSWORD, to="/"):
    return client.post("/login", data={"name": name, "password": password, "next": to})


def logged_in(app, name, base="http://testserver"):
    client = visitor(app, base)
    assert log_in(client, name).status_code == 303
    return client

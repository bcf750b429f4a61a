"""Owns the composition root: create_app puts settings, database, intake, watch, worker and both doors together."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app import __version__
from app.api import mount as mount_api
from app.api import shortcut
from app.intake import Intake
from app.settings import Settings
from app.signing import signer_of, witnesses_of
from app.store.db import Database
from app.targets import plan_of
from app.watch import Watch
from app.web import mount as mount_web
from app.worker import Worker


class Handrail(FastAPI):
    """The application. Submissions take a short way, around the middleware that the other calls go through."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if shortcut.leads(scope):
            await shortcut.go(self, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, *, embed_worker: bool = False, database: Database | None = None) -> FastAPI:
    """The whole application. `database` stands in for the one the settings name, for tests."""
    db = database or Database(
        settings.database_url,
        pool_size=settings.pool_size,
        read_url=settings.read_database_url,
        pooled=settings.database_pooled,
    )

    signer, plan = signer_of(settings), plan_of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        intake, watch = Intake(db, signer.promise), Watch(db)
        worker = Worker(db, signer, plan) if embed_worker else None
        app.state.intake, app.state.watch = intake, watch
        intake.start()
        watch.start()
        if worker:
            worker.start()
        _settle_memory()
        yield
        await watch.stop()
        await intake.stop()
        if worker:
            worker.stop()
        if database is None:
            db.close()

    app = Handrail(
        title="Handrail",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.settings, app.state.db = settings, db
    app.state.signer, app.state.witnesses = signer, witnesses_of(settings)
    mount_api(app)
    mount_web(app)
    return app


def _settle_memory() -> None:
    # What start-up made never dies: keeping the collector off it cuts the tail of the submit door.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)

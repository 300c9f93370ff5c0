#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The first rebuild as the original system does it: `loop_peer.py STORE URL` empties its table,
reads one sidecar after the other, adds a row through SQLAlchemy's ORM, commits every 100, and
prints the rows and the seconds. URL is one of SQLAlchemy's: postgresql+asyncpg://… or sqlite+aiosqlite:///…

Debian's modules belong to Debian's Python, hence the first line."""
import asyncio
import datetime
import json
import pathlib
import re
import sys
import time

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base, sessionmaker

COMMIT_EVERY = 100
SUFFIX = ".attr.json"
Base = declarative_base()


class FileMetadata(Base):
    """Its columns and indexes."""
    __tablename__ = "storage_elem_peer_files"
    file_id = sa.Column(sa.String(36).with_variant(postgresql.UUID(), "postgresql"),
                        primary_key=True, index=True)
    original_filename = sa.Column(sa.String(500), nullable=False, index=True)
    storage_filename = sa.Column(sa.String(500), nullable=False, unique=True, index=True)
    file_size = sa.Column(sa.BigInteger, nullable=False)
    content_type = sa.Column(sa.String(255), nullable=False)
    created_at = sa.Column(sa.DateTime(timezone=True), nullable=False)
    updated_at = sa.Column(sa.DateTime(timezone=True), nullable=False)
    cache_updated_at = sa.Column(sa.DateTime(timezone=True), nullable=False)
    cache_ttl_hours = sa.Column(sa.Integer, nullable=False, default=24)
    created_by_id = sa.Column(sa.String(255), nullable=False, index=True)
    created_by_username = sa.Column(sa.String(255), nullable=False, index=True)
    created_by_fullname = sa.Column(sa.String(500))
    description = sa.Column(sa.Text)
    version = sa.Column(sa.String(50))
    storage_path = sa.Column(sa.String(1000), nullable=False)
    checksum = sa.Column(sa.String(64), nullable=False)
    search_vector = sa.Column(sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql"))
    metadata_json = sa.Column(sa.JSON().with_variant(postgresql.JSONB(), "postgresql"))
    __table_args__ = (
        sa.Index("idx_peer_filename", "original_filename"),
        sa.Index("idx_peer_user_date", "created_by_id", "created_at"),
        sa.Index("idx_peer_search_vector", "search_vector", postgresql_using="gin"),
        sa.Index("idx_peer_metadata", "metadata_json", postgresql_using="gin"),
    )


def moment(text):
    # It knows microseconds; some dialect writes nanoseconds.
    text = re.sub(r"(\.\d{6})\d+", r"\1", text.replace("Z", "+00:00"))
    return datetime.datetime.fromisoformat(text)


def entry_of(attributes, file_name):
    """Of every dialect that a store has, where the original knows only some."""
    def first(*keys, default=None):
        return next((attributes[key] for key in keys if attributes.get(key) is not None), default)

    created = first("created_at", "uploaded_at")
    return FileMetadata(
        file_id=attributes["file_id"],
        original_filename=attributes["original_filename"],
        storage_filename=first("storage_filename", default=file_name.removesuffix(SUFFIX)),
        file_size=first("file_size", "size"),
        content_type=first("content_type", "mime_type", default="application/octet-stream"),
        created_at=moment(created),
        updated_at=moment(first("updated_at", default=created)),
        cache_updated_at=datetime.datetime.now(datetime.timezone.utc),
        cache_ttl_hours=24,
        created_by_id=first("created_by_id", "uploaded_by", default="unknown"),
        created_by_username=first("created_by_username", "uploaded_by", default="unknown"),
        created_by_fullname=first("created_by_fullname", "uploader_full_name"),
        description=attributes.get("description"),
        version=str(first("version", default=1)),
        storage_path=attributes["storage_path"],
        checksum=first("checksum", "sha256", default="").removeprefix("sha256:"),
        metadata_json=attributes)


async def rebuild(session, store):
    await session.execute(sa.delete(FileMetadata))
    await session.commit()
    rows = 0
    for path in pathlib.Path(store).rglob("*" + SUFFIX):
        session.add(entry_of(json.loads(path.read_text(encoding="utf-8")), path.name))
        rows += 1
        if rows % COMMIT_EVERY == 0:
            await session.commit()
    await session.commit()
    return rows


async def main(store, url):
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)() as session:
        began = time.monotonic()
        rows = await rebuild(session, store)
        print(rows, f"{time.monotonic() - began:.3f}")
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

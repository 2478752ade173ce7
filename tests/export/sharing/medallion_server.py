"""medallion, the TAXII server of OASIS, on loopback. It takes any object, so it answers for the transport alone."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEDIA_TYPE = "application/taxii+json;version=2.1"


@contextmanager
def medallion(folder: Path, collection: str, user: str, password: str, page: int = 5) -> Iterator[str]:
    """Serve one empty collection in pages of so many; yield the URL of its API root."""
    with warnings.catch_warnings():
        # its dependencies are older than this Python
        warnings.simplefilter("ignore")
        from medallion import application_instance, register_blueprints, set_config
        from werkzeug.serving import make_server

    root = {
        "information": {"title": "test", "versions": [MEDIA_TYPE], "max_content_length": 100_000},
        "status": [],
        "collections": [
            {
                "id": collection,
                "title": "test",
                "can_read": True,
                "can_write": True,
                "media_types": [],
                "objects": [],
                "manifest": [],
            }
        ],
    }
    data = folder / "medallion.json"
    data.write_text(json.dumps({"/discovery": {"title": "test", "api_roots": []}, "root": root}), encoding="utf-8")
    backend = {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend", "filename": str(data)}
    configuration = {"users": {user: password}, "taxii": {"max_page_size": page}, "backend": backend}
    for name in configuration:
        set_config(application_instance, name, configuration)
    if not application_instance.blueprints:  # there is one application a process, and it takes them once
        register_blueprints(application_instance)
    server = make_server("127.0.0.1", 0, application_instance)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/root"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

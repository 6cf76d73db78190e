from __future__ import annotations

from pathlib import Path

from federated.shipping import app_sha256, write_app


def test_what_is_shipped_is_the_same_bytes_for_everybody_and_imports_what_is_installed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_app(tmp_path / name)
    made = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    ]
    assert made[0] == made[1]
    assert {path.suffix for path in made[0]} == {".py", ".toml"}
    code = [content.decode() for path, content in made[0].items() if path.suffix == ".py"]
    assert all("import" not in text or "from federated." in text for text in code)
    assert app_sha256() == app_sha256()

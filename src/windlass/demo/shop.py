"""The manifests of the demo's shop, as a person would write them, and how its story tells times."""

from __future__ import annotations


def ms(seconds: float) -> str:
    """A time as a person reads it."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def files(version: str) -> dict[str, str | None]:
    """The whole folder at a version."""
    return {
        "README.md": "The configuration of the shop.\n",
        "shop/web.yaml": web(version),
        "shop/service.yaml": SERVICE,
        "shop/settings.yaml": settings("info"),
        "shop/extra.yaml": EXTRA,
    }


def web(version: str, *, replicas: str = "2") -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
        - name: web
          image: registry.example.com/acme/shop:{version}
          ports:
            - containerPort: 8080
          envFrom:
            - configMapRef:
                name: settings
"""


def settings(level: str) -> str:
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  level: {level}
"""


SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
    - port: 80
      targetPort: 8080
"""

EXTRA = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: extra
data:
  note: taken out of Git at the end of the story
"""

"""The doors of the package by their names."""

from fuzz.doors import datasets, files, records, server, videos, weights

DOORS = {
    door.name: door
    for module in (videos, weights, datasets, records, files, server)
    for door in module.DOORS
}

"""Huawei CC-FS, the file service of AICC sites: signed requests that bring recordings."""

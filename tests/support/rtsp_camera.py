#!/usr/bin/python3
"""A network camera on loopback: serves an H.264 mp4 over RTSP.

    rtsp_camera.py FILE.mp4 [--port N] [--once] [--user NAME --password WORD]

Prints `ready rtsp://127.0.0.1:PORT/cam` when it serves, `playing` when the first reader makes it play, and `end` when
`--once` is given and the clip is over. Without `--once` the clip loops with continuous timestamps. Each time that the
last reader goes and another comes, the clip begins anew. Any number of readers share one stream.

Debian: python3-gi gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-{base,good,bad}
"""
import argparse
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtspServer  # noqa: E402,F401

LAUNCH = (
    "( appsrc name=src is-live=true format=time max-bytes=8000000 ! h264parse "
    "! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def load(path):
    """All access units as (bytes, is delta, pts, dts), times in ns from 0; their caps; the clip's length in ns."""
    pipeline = Gst.parse_launch(
        "filesrc name=file ! qtdemux ! h264parse config-interval=-1 "
        "! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
    )
    pipeline.get_by_name("file").set_property("location", path)
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units, caps, length = [], None, 0
    while (sample := sink.emit("pull-sample")) is not None:
        caps, unit = sample.get_caps(), sample.get_buffer()
        dts = unit.dts if unit.dts != Gst.CLOCK_TIME_NONE else unit.pts
        delta = bool(unit.get_flags() & Gst.BufferFlags.DELTA_UNIT)
        units.append((unit.extract_dup(0, unit.get_size()), delta, unit.pts, dts))
        length = max(length, unit.pts + (unit.duration if unit.duration != Gst.CLOCK_TIME_NONE else 0))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        raise SystemExit(f"no H.264 picture in {path}")
    first = min(dts for _, _, _, dts in units)
    units = [(data, delta, pts - first, dts - first) for data, delta, pts, dts in units]
    return units, caps, length - first


class Feed(threading.Thread):
    """Pushes access units into one `appsrc` at the clip's own pace."""

    def __init__(self, source, units, length, once):
        super().__init__(daemon=True)
        self.source, self.units, self.length, self.once = source, units, length, once
        self.stopped = False

    def run(self):
        print("playing", flush=True)
        begun, offset = time.monotonic(), 0
        while not self.stopped:
            for data, delta, pts, dts in self.units:
                ahead = begun + (offset + dts) / Gst.SECOND - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                if self.stopped or not self.push(data, delta, offset + pts, offset + dts):
                    return
            offset += self.length
            if self.once:
                self.source.emit("end-of-stream")
                print("end", flush=True)
                return

    def push(self, data, delta, pts, dts):
        unit = Gst.Buffer.new_wrapped(data)
        unit.pts, unit.dts = pts, dts
        if delta:
            unit.set_flags(Gst.BufferFlags.DELTA_UNIT)
        return self.source.emit("push-buffer", unit) == Gst.FlowReturn.OK


def require_login(server, factory, user, password):
    """Basic authentication, as cameras have it."""
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main():
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    args = parser.parse_args()
    Gst.init(None)
    units, caps, length = load(args.clip)

    def configure(_factory, media):
        source = media.get_element().get_by_name("src")
        source.set_property("caps", caps)
        feed = Feed(source, units, length, args.once)
        media.connect("unprepared", lambda *_: setattr(feed, "stopped", True))
        feed.start()

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(args.port))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(LAUNCH)
    factory.connect("media-configure", configure)
    if args.user:
        require_login(server, factory, args.user, args.password or "")
    server.get_mount_points().add_factory("/cam", factory)
    if server.attach(None) == 0:
        raise SystemExit(f"cannot listen on port {args.port}")
    print(f"ready rtsp://127.0.0.1:{server.get_bound_port()}/cam", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()

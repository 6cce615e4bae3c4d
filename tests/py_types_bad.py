# What they must refuse, a line each.
import horus

horus.Image("4", 4)
horus.Image(4, 4).set_frame_id(5)
horus.Topic("t").send_blocking(1)
n: str = horus.PointCloud(5).point_count
horus.Nothing

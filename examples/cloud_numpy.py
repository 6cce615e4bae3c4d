"""A point cloud with NumPy: the floor goes, the nearest thing is a message.

    python3 cloud_numpy.py"""
import horus
import numpy as np


def lidar(seed):
    """Stands in for a lidar: x, y, z in metres and intensity; a floor, and a box in front."""
    random = np.random.default_rng(seed)
    floor = random.uniform([-10, -10, -0.02, 0], [10, 10, 0.02, 0.3], (20_000, 4))
    box = random.uniform([3, -0.5, 0, 0.7], [4, 0.5, 1, 1], (500, 4))
    cloud = horus.PointCloud(20_500, 4)
    cloud.to_numpy()[:] = np.concatenate([floor, box])  # straight into the pool
    cloud.frame_id, cloud.timestamp_ns = "lidar", horus.timestamp_ns()
    return cloud


scans, clouds = horus.Topic(horus.PointCloud, name="lidar"), horus.Topic(horus.PointCloud, name="lidar")
things, nearest = horus.Topic(horus.PointCloud, name="things"), horus.Topic(horus.Point3, name="near")
scans.send(lidar(1))

cloud = clouds.recv(timeout=1)
points = cloud.to_numpy()  # (N, 4), read-only, no copy
above = points[points[:, 2] > 0.1]
things.send(horus.PointCloud.from_numpy(above))
distance = np.linalg.norm(above[:, :3], axis=1)
x, y, z = above[distance.argmin(), :3]
nearest.send(horus.Point3(x, y, z, timestamp_ns=cloud.timestamp_ns))

thing, left = nearest.recv(), things.recv()
print(f"{left.point_count} of {cloud.point_count} points are above the floor")
print(f"nearest: {np.hypot(thing.x, thing.y):.1f} m away, intensity {left.to_numpy()[:, 3].mean():.2f}")
left.save("things.ply")

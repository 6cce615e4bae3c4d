// consumer: a C++11 program. It includes the API part only; the implementation is C, compiled once,
// from a file of two lines or straight from the header. In this directory:
//
//     gcc -O2 -x c -DHORUS_IMPLEMENTATION -c ../horus.h -o horus.o
//     g++ -std=c++11 -O2 -I.. consumer.cpp horus.o -o consumer -pthread
//
//     ./hello_pub & ./consumer
#include "horus.h"

#include <cstdio>
#include <stdexcept>
#include <utility>

// A frame that releases itself.
class Frame
{
  public:
    Frame() : image_() {}
    Frame(const Frame &) = delete;
    Frame &operator=(const Frame &) = delete;
    Frame(Frame &&other) noexcept : image_(other.image_) { other.image_ = horus_image(); }
    Frame &operator=(Frame &&other) noexcept
    {
        std::swap(image_, other.image_);
        return *this;
    }
    ~Frame() { horus_image_release(&image_); }
    const horus_image &image() const { return image_; }
    horus_image *out()
    {
        horus_image_release(&image_);
        return &image_;
    }

  private:
    horus_image image_;
};

class ImageTopic
{
  public:
    explicit ImageTopic(const char *name) : topic_(nullptr)
    {
        horus_topic_desc desc = horus_topic_desc();
        desc.type = &horus_image_type;
        if (horus_topic_open(&topic_, name, &desc) != HORUS_OK)
            throw std::runtime_error(horus_last_error());
    }
    ImageTopic(const ImageTopic &) = delete;
    ImageTopic &operator=(const ImageTopic &) = delete;
    ~ImageTopic() { horus_topic_close(topic_); }

    // False: nothing came in time.
    bool receive(Frame &frame, horus_info &info, int64_t timeout_ns)
    {
        horus_result r = horus_topic_receive_image(topic_, frame.out(), &info, timeout_ns);
        if (r < 0)
            throw std::runtime_error(horus_last_error());
        return r == HORUS_OK;
    }

  private:
    horus_topic *topic_;
};

int main()
{
    try {
        ImageTopic camera("camera");
        Frame frame, brightest; // kept across later receives: nothing overwrites it
        horus_info info;
        double most = -1;
        while (camera.receive(frame, info, 3000000000)) {
            const horus_image &img = frame.image();
            const uint8_t *pixels = static_cast<const uint8_t *>(img.data);
            double sum = 0;
            for (uint32_t y = 0; y < img.height_px; y++)
                for (uint32_t x = 0; x < img.width_px * img.channels; x++)
                    sum += pixels[static_cast<size_t>(y) * img.stride_bytes + x];
            double mean = sum / (static_cast<double>(img.width_px) * img.height_px * img.channels);
            std::printf("frame %u: mean %.1f, lost before it: %u\n",
                        static_cast<unsigned>(info.sequence), mean,
                        static_cast<unsigned>(info.lost));
            if (mean > most) {
                most = mean;
                brightest = std::move(frame);
            }
        }
        std::printf("the brightest had a mean of %.1f\n", most);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "consumer: %s\n", e.what());
        return 1;
    }
    return 0;
}

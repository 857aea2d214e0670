"""openl3 0.4.2: needs its checkout in `src`, TensorFlow with tf_keras, kapre 0.3.7, resampy, librosa, scikit-learn and soundfile.

Its users' path, `get_audio_embedding` on what soundfile reads, with the kapre front end, mel256, 512 numbers, music,
hop 0.1 s. The weights are random: the authors' file is not asked for.
"""

import os

from serve import Loaded, serve


def load(threads: int) -> Loaded:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import soundfile
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    from openl3 import core, models

    network = models.AUDIO_MODELS["mel256"](include_frontend=True)
    pooled = tf.keras.layers.MaxPooling2D(models.AUDIO_POOLING_SIZES["mel256"][512], padding="same")(network.output)
    network = tf.keras.Model(network.input, tf.keras.layers.Flatten()(pooled))
    network.frontend = "kapre"

    def embed(file: str) -> object:
        audio, rate = soundfile.read(file)
        return core.get_audio_embedding(audio, rate, model=network, hop_size=0.1, verbose=False)

    return embed, "soundfile, resampy, frames, kapre's front end in Keras, the network in batches of 32; random weights"


if __name__ == "__main__":
    serve(load)

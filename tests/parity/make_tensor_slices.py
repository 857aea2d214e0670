"""Let TensorFlow write a small checkpoint of one file, as `vggish_model.ckpt` is, for the reader of that format.

Usage: python -m tests.parity.make_tensor_slices (with TensorFlow, any version that still writes `V1`)
"""

from pathlib import Path

import numpy as np

CHECKPOINT = Path(__file__).parent / "data" / "tensor_slices.ckpt"
VARIABLES = {
    "vggish/conv1/weights": np.linspace(-1, 1, 18, dtype=np.float32).reshape(3, 3, 1, 2),
    "vggish/conv1/biases": np.array([0.5, -0.25], dtype=np.float32),
    "vggish/fc2/weights": np.linspace(0, 7, 12, dtype=np.float32).reshape(4, 3),
    "global_step": np.array(17, dtype=np.int64),
}


def main() -> None:
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, array in VARIABLES.items():
            tf.compat.v1.get_variable(name, initializer=array)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V1)
        saver.save(session, str(CHECKPOINT), write_meta_graph=False, write_state=False)


if __name__ == "__main__":
    main()

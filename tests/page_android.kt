// What the Kotlin of docs/export_litert.md finds on Android, on this machine: the assets are a folder, and the
// interpreter is that of LiteRT's Python package, asked over HTTP.
import java.io.File
import java.io.FileInputStream
import java.io.RandomAccessFile
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel

class AssetFileDescriptor(path: String) {
    val fileDescriptor = RandomAccessFile(path, "r").fd
    val startOffset = 0L
    val declaredLength = File(path).length()
}

class AssetManager {
    fun openFd(name: String) = AssetFileDescriptor(name)
}

class Context {
    val assets = AssetManager()
}

val context = Context()

fun bytesOf(buffer: ByteBuffer) = ByteArray(buffer.capacity()).also { buffer.duplicate().rewind().get(it) }

fun ask(path: String, body: ByteArray): ByteBuffer {
    val request = HttpRequest.newBuilder(URI("$SERVER/$path")).POST(HttpRequest.BodyPublishers.ofByteArray(body))
    val response = HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofByteArray())
    check(response.statusCode() == 200) { "$path: ${String(response.body())}" }
    return ByteBuffer.wrap(response.body()).order(ByteOrder.LITTLE_ENDIAN)
}

class Tensor(private val sizes: IntArray, private val bytes: Int) {
    fun shape() = sizes
    fun numBytes() = bytes
}

class Interpreter(model: ByteBuffer, options: Options) {
    class Options {
        fun setNumThreads(count: Int) = this
    }

    init {
        ask("load", bytesOf(model))
    }

    private fun tensor(path: String): Tensor {
        val numbers = ask(path, ByteArray(0)).asIntBuffer()  // the bytes, then the sizes
        val bytes = numbers.get()
        return Tensor(IntArray(numbers.remaining()) { numbers.get() }, bytes)
    }

    fun getInputTensor(index: Int) = tensor("input/$index")
    fun getOutputTensor(index: Int) = tensor("output/$index")

    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>) {
        for ((name, value) in inputs) ask("feed/$name", bytesOf(value as ByteBuffer))
        for ((name, value) in outputs) {
            val numbers = ask("fetch/$name", ByteArray(0)).asFloatBuffer()
            for (row in value as Array<FloatArray>) numbers.get(row)
            check(!numbers.hasRemaining()) { "$name: more numbers than places" }
        }
    }
}

// The two entry points that `load_delegate` and the C interface of TensorFlow Lite look for.
//
// The delegate itself is Python (npu/tflite_delegate/library.py). A process that runs Python lends
// its own; any other gets the Python that this file was built for, which stays until it ends.

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

namespace {

// as in npu/tflite_delegate/library.py
struct Request {
    const char *const *keys;
    const char *const *values;
    std::uint64_t count;
    void *delegate;
    char message[1024];
};

struct Python {
    int (*is_initialized)();
    void (*initialize)(int);
    void *(*save_thread)();
    int (*ensure)();
    void (*release)(int);
    int (*run)(const char *, void *);

    bool find(void *library)
    {
        const auto symbol = [library](const char *name, auto &function) {
            function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
            return function != nullptr;
        };
        return symbol("Py_IsInitialized", is_initialized) &&
               symbol("Py_InitializeEx", initialize) && symbol("PyEval_SaveThread", save_thread) &&
               symbol("PyGILState_Ensure", ensure) && symbol("PyGILState_Release", release) &&
               symbol("PyRun_SimpleStringFlags", run);
    }
};

std::mutex starting;
Python python;
bool ready = false;

// Returns what is wrong, or an empty text.
std::string start()
{
    const std::lock_guard<std::mutex> guard(starting);
    if (ready)
        return "";
    if (python.find(RTLD_DEFAULT) && python.is_initialized()) {
        ready = true;
        return "";
    }
    void *library = dlopen(NPU_LIBPYTHON, RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr || !python.find(library))
        return "this process runs no Python, and there is no '" NPU_LIBPYTHON "' to start";
    const bool given = std::getenv("PYTHONHOME") != nullptr;
    setenv("PYTHONHOME", NPU_PYTHON_HOME, 0);
    python.initialize(0);
    if (!given)
        unsetenv("PYTHONHOME");
    python.run("import site, sys\nsite.addsitedir(" NPU_SITE_PACKAGES ")\n"
               "sys.path.insert(0, " NPU_ROOT ")\n",
               nullptr);
    // this thread holds the lock of the new Python
    python.save_thread();
    ready = true;
    return "";
}

bool call(const char *function, void *argument)
{
    char text[256];
    std::snprintf(text, sizeof(text),
                  "__import__('npu.tflite_delegate.library', fromlist=['x']).%s(%llu)\n", function,
                  static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(argument)));
    const int lock = python.ensure();
    const int status = python.run(text, nullptr);
    python.release(lock);
    return status == 0;
}

}  // namespace

extern "C" void *tflite_plugin_create_delegate(const char *const *keys, const char *const *values,
                                               std::size_t count, void (*report)(const char *))
{
    Request request{keys, values, count, nullptr, ""};
    std::string problem = start();
    if (problem.empty() && !call("create", &request))
        problem = "Python cannot import the package 'npu'";
    if (problem.empty())
        problem = request.message;
    if (!problem.empty() && report != nullptr)
        report(("NPU: " + problem).c_str());
    return request.delegate;
}

extern "C" void tflite_plugin_destroy_delegate(void *delegate)
{
    if (ready && delegate != nullptr)
        call("destroy", delegate);
}

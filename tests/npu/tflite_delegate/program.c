/* A program that has no Python of its own: runs a network with a delegate from a library.
 *
 * Arguments: model, delegate library, then pairs of options. Reads the input from standard input,
 * writes the output to standard output.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void *TfLiteModelCreateFromFile(const char *path);
void *TfLiteInterpreterOptionsCreate(void);
void TfLiteInterpreterOptionsAddDelegate(void *options, void *delegate);
void *TfLiteInterpreterCreate(const void *model, const void *options);
int TfLiteInterpreterAllocateTensors(void *interpreter);
void *TfLiteInterpreterGetInputTensor(const void *interpreter, int32_t index);
const void *TfLiteInterpreterGetOutputTensor(const void *interpreter, int32_t index);
int TfLiteInterpreterInvoke(void *interpreter);
void TfLiteInterpreterDelete(void *interpreter);
size_t TfLiteTensorByteSize(const void *tensor);
int TfLiteTensorCopyFromBuffer(void *tensor, const void *data, size_t size);
int TfLiteTensorCopyToBuffer(const void *tensor, void *data, size_t size);

typedef void *create_function(char **keys, char **values, size_t count, void (*report)(const char *));
typedef void destroy_function(void *delegate);

static void report(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    char *keys[8], *values[8];
    size_t count = 0;
    for (int i = 3; i + 1 < argc && count < 8; i += 2, count++) {
        keys[count] = argv[i];
        values[count] = argv[i + 1];
    }
    void *library = dlopen(argv[2], RTLD_NOW);
    if (library == NULL)
        return fprintf(stderr, "%s\n", dlerror()), 2;
    create_function *create = (create_function *)dlsym(library, "tflite_plugin_create_delegate");
    destroy_function *destroy = (destroy_function *)dlsym(library, "tflite_plugin_destroy_delegate");
    void *delegate = create(keys, values, count, report);
    if (delegate == NULL)
        return 3;
    void *options = TfLiteInterpreterOptionsCreate();
    TfLiteInterpreterOptionsAddDelegate(options, delegate);
    void *interpreter = TfLiteInterpreterCreate(TfLiteModelCreateFromFile(argv[1]), options);
    if (interpreter == NULL || TfLiteInterpreterAllocateTensors(interpreter) != 0)
        return 4;
    void *input = TfLiteInterpreterGetInputTensor(interpreter, 0);
    const void *output = TfLiteInterpreterGetOutputTensor(interpreter, 0);
    size_t in = TfLiteTensorByteSize(input), out = TfLiteTensorByteSize(output);
    char *data = malloc(in > out ? in : out);
    if (fread(data, 1, in, stdin) != in || TfLiteTensorCopyFromBuffer(input, data, in) != 0)
        return 5;
    if (TfLiteInterpreterInvoke(interpreter) != 0)
        return 6;
    TfLiteTensorCopyToBuffer(output, data, out);
    fwrite(data, 1, out, stdout);
    TfLiteInterpreterDelete(interpreter);
    destroy(delegate);
    return 0;
}
